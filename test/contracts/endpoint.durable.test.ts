import { useDurableRelays } from '../support/durableRelays.ts'
import { useDataFolder } from '../support/folders.ts'
import { endpointContract } from './endpoint.contract.ts'

// What a relay keeps on a disk, it keeps as one that keeps it in memory: endpoints see no difference.
useDataFolder()
useDurableRelays()
endpointContract('thread')
