/**
 * JSON as the house formats it: a level per line, but a row of numbers on one.
 * @param {unknown} value
 */
export function formatJson(value) {
  const text = JSON.stringify(value, null, 2)
  const joined = text.replaceAll(/\[\s+(-?[\d.e+-]+(?:,\s+-?[\d.e+-]+)*)\s+\]/g, (_all, /** @type {string} */ row) => {
    return `[${row.replaceAll(/\s+/g, ' ')}]`
  })
  return `${joined}\n`
}
