/**
 * What the option `store` of a relay takes: names a module and what to give it, because the relay opens its store in a
 * thread of its own.
 */
export interface StoreDescriptor {
  /**
   * The URL of a module with `openStore(options, host): Store | Promise<Store>`; for the stores of this library a name that every relay
   * knows, because in a program that was bundled into one file they have no URL of their own.
   */
  readonly module: string
  readonly options: Readonly<Record<string, unknown>>
}
