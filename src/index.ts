// The door: a list of names and nothing else.
export { Endpoint } from './endpoint/program/endpointClass.ts'
export type {
  EndpointConnectOptions,
  EndpointOptions,
  GroupSchemas,
  ReconnectOptions,
} from './endpoint/program/endpointOptions.ts'
export type {
  BroadcastOptions,
  Counts,
  DeadLetter,
  Delivery,
  DeliveryOf,
  EndpointCondition,
  EndpointEvents,
  EndpointStats,
  GroupName,
  MaxItems,
  MemberName,
  ObjectForAll,
  ObjectIn,
  ObjectOf,
  Receipt,
  ReleaseOptions,
  SendOptions,
  StopResult,
  SupersededReceipt,
  TakeOptions,
  TakeSyncOptions,
  UndeliveredObject,
  Work,
  WorkOptions,
} from './endpoint/program/endpointTypes.ts'
export type { ErrorCategory, ErrorCode, PlainError } from './errors.ts'
export {
  AuthenticationError,
  CertificateError,
  ConnectTimeoutError,
  DeserializationError,
  errorCatalogue,
  FullError,
  GroupFullError,
  GroupNotAcceptedError,
  IncompatibleVersionError,
  KeyFileError,
  LinkError,
  ListenError,
  ObjectRelayError,
  PeerError,
  RefusedError,
  SchemaError,
  SerializationError,
  StoreError,
  UnrecoverableError,
  UsageError,
} from './errors.ts'
export type { EndpointLimits, RelayLimits } from './limits.ts'
export { endpointLimitDefaults, fixedLimits, relayLimitDefaults } from './limits.ts'
export type { Serializer } from './objects/serializer.ts'
export type { Tensor } from './objects/tensor.ts'
export type { RegistrableClass, TypeCodec } from './objects/typeRegistry.ts'
export { registerType } from './objects/typeRegistry.ts'
export { Relay } from './relay/relay.ts'
export type { RelayEvents, RelayWarningCode } from './relay/relayEvents.ts'
export type { AcceptedGroupOptions, RelayOptions } from './relay/relayOptions.ts'
export type { RelayStats, RelayStopResult } from './relay/relayStats.ts'
export { createPasswordVerifier, writePasswordVerifier } from './security/passwordVerifier.ts'
export type { Signal, SignalLike } from './signal.ts'
export { type FileStoreOptions, fileStore } from './store/fileStore.ts'
export {
  backupStore,
  exportGroup,
  inspectStore,
  type Purged,
  purgeGroup,
  type StoreContent,
} from './store/files/storeCommands.ts'
export { type MemoryStoreOptions, memoryStore } from './store/memoryStore.ts'
export type { StoreDescriptor } from './store/storeDescriptor.ts'
export type { StoredCopy, StoredGroup } from './store/storeView.ts'
