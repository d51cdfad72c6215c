/** Whether a function is part of JavaScript, or of Node.js, and not of a program: of this realm or another. */
export function isNative(type: object): boolean {
  return Function.prototype.toString.call(type).includes('[native code]')
}
