import { openStore } from './memoryStore.ts'
import { describeStore } from './store.contract.ts'

describeStore('The memory of a relay, as a store', {
  isDurable: false,
  open: async () => {
    const store = openStore()
    return {
      store,
      settle: (promise) => promise,
      restart: () => Promise.reject(new Error('It remembers nothing.')),
      end: () => store.close(),
    }
  },
})
