/**
 * How the programs of an example find their relay: `node program.js <port> ...` and the password in the environment,
 * where, unlike in the arguments, other users of the machine cannot read it.
 *
 * @returns {{ host: string, port: number, password: string }}
 */
export function connectionFromCommandLine() {
  const port = Number(process.argv[2])
  const password = process.env.OBJECTRELAY_PASSWORD
  if (!Number.isInteger(port) || port < 1 || port > 65_535 || password === undefined || password === '') {
    console.error('Give the port of the relay as the first argument and the password in OBJECTRELAY_PASSWORD.')
    process.exit(2)
  }
  return { host: '127.0.0.1', port, password }
}
