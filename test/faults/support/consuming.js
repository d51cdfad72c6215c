import { isContentOf } from './content.js'

/** The line of the journal for one object that came. */
function lineOf({ source, number, content }, { attempt = 1, skipped = 0, kind = 'produce' } = {}) {
  return `${isContentOf(number, content) ? 'came' : 'damaged'} ${source} ${number} ${attempt} ${skipped} ${kind}`
}

/**
 * Begins to receive, and writes each object to the journal *before* it counts as taken: a consumer that is killed has
 * written whatever it acknowledged. Modes: `deliveries` one after the other; `work` by handlers; `pop` in bulk.
 */
export async function consume(endpoint, { group, mode = 'deliveries', credit = 1_000_000, ...order }) {
  if (mode !== 'work' && credit > 0) await endpoint.notify({ [group]: credit })
  const loop = { deliveries, pop, work }[mode]
  loop(endpoint, { group, ...order }).catch((error) => order.tell('consumingFailed', error))
}

async function deliveries(endpoint, { journal, tell, holdAfter = Number.POSITIVE_INFINITY }) {
  let count = 0
  for await (const delivery of endpoint.deliveries()) {
    journal.write(lineOf(delivery.object, delivery))
    if (++count >= holdAfter) {
      tell('holds', count)
      await new Promise(() => undefined)
    }
  }
}

async function pop(endpoint, { journal, maxItems = 1_000 }) {
  for (;;) {
    const objects = await endpoint.pop({ maxItems, blocking: true })
    if (objects.length === 0) return
    journal.writeAll(objects.map((object) => lineOf(object)))
  }
}

async function work(endpoint, { group, journal, concurrency = 4, workMs = 0 }) {
  endpoint.work(
    group,
    async (object, delivery) => {
      if (workMs > 0) await new Promise((resolve) => setTimeout(resolve, workMs))
      journal.write(lineOf(object, delivery))
    },
    { concurrency },
  )
}
