import { useDataFolder } from '../support/folders.ts'
import { endpointContract } from './endpoint.contract.ts'

useDataFolder()
endpointContract('inline')
