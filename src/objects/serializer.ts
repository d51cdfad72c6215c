/** How a program encodes its objects itself, instead of the built-in serializer. */
export interface Serializer {
  serialize(object: unknown): Uint8Array
  deserialize(bytes: Uint8Array): unknown
}
