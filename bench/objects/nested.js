/** About 10 kB as one meets them: a result with its settings, its history and its notes. */
export function makeNested() {
  return {
    trial: 'trial-0042',
    settings: { layers: [64, 32, 10], rate: 0.0125, momentum: 0.9, activation: 'relu', seed: 123_456_789 },
    history: Array.from({ length: 60 }, (_epoch, epoch) => ({
      epoch,
      loss: 2.3 / (epoch + 1),
      accuracy: 1 - 0.9 / (epoch + 1.7),
      seconds: 0.25 + epoch / 1000,
      best: epoch % 7 === 0,
      note: epoch % 10 === 0 ? `the rate was halved after epoch ${epoch}` : null,
    })),
    confusion: Array.from({ length: 10 }, (_row, row) => Array.from({ length: 10 }, (_cell, cell) => row * 97 + cell)),
    tags: { machine: 'worker-3', purpose: 'search', nested: { deeper: { deepest: ['a', 'b', 'c', 'naïve'] } } },
  }
}
