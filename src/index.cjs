// What require() gets: the same module that import gets. Where that cannot be, the error says what to do.
try {
  module.exports = require('./index.js')
} catch (cause) {
  // In jest it is an error of another world, which is no instance of this Error.
  if (cause?.name !== 'SyntaxError' && cause?.code !== 'ERR_REQUIRE_ESM') throw cause
  const message =
    'objectrelay is an ES module, and require() of ES modules is not possible here. In jest, run node with ' +
    '--experimental-vm-modules and write the test as an ES module (https://jestjs.io/docs/ecmascript-modules), or use ' +
    'Node.js 24.9 or newer; elsewhere, use Node.js 20.19 or newer, or import(). See docs/bundling.md of objectrelay.'
  throw Object.assign(new Error(message, { cause }), { code: 'ERR_REQUIRE_ESM' })
}
