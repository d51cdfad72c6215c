/** Something that must not be: ends the run. */
export class FuzzFailure extends Error {}

export function fail(what: string): never {
  throw new FuzzFailure(what)
}
