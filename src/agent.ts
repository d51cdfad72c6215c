/** How this library names itself to its peers; a test compares it with package.json. */
export const AGENT = 'objectrelay/0.1.0'
