import fc from 'fast-check'

// Whether a change is good must not depend on luck: all property tests begin with this seed. New ones are tried by hand
// (`npm run properties`), and after a failure with the seed that it prints.
const seed = Number(process.env.OBJECTRELAY_PROPERTY_SEED ?? 1)
if (!Number.isSafeInteger(seed)) throw new Error('OBJECTRELAY_PROPERTY_SEED is not an integer.')
fc.configureGlobal({ seed })
