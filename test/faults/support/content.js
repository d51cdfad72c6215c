/** The bytes that belong to an object, so that one which arrives changed is found. */
export function contentOf(number, bytes) {
  const content = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at += 1_021) content[at] = (number + at) & 0xff
  return content
}

/** Whether these are the bytes that belong to the object. */
export function isContentOf(number, content) {
  if (!(content instanceof Uint8Array)) return false
  for (let at = 0; at < content.length; at += 1_021) if (content[at] !== ((number + at) & 0xff)) return false
  return true
}
