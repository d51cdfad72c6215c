import { Endpoint as Implementation } from './endpoint.ts'
import type {
  AnySchemas,
  EndpointConnectOptions,
  EndpointOptions,
  GroupsOf,
  InferringOptions,
} from './endpointOptions.ts'
import type { MemberName } from './endpointTypes.ts'

/**
 * A member of groups, connected to a relay. `Groups` are the types of the groups' objects, and `Own` are the groups whose
 * objects arrive: all of them, unless they are inferred from the option `groups`.
 */
export type Endpoint<
  Groups extends object = Record<string, unknown>,
  Own extends MemberName<Groups> = MemberName<Groups>,
> = Implementation<Groups, Own>

/**
 * How endpoints are made. Where the types of the groups are not stated, they are inferred from the `schemas`. (That form has a
 * type parameter more than can be stated, so that one who states them never means it.)
 */
interface EndpointClass {
  readonly prototype: Implementation<Record<string, unknown>, string>

  /**
   * Begins to connect, in the background, and retries forever; what is sent meanwhile waits, within `limits.sendBytesMax`,
   * and goes out in order. Throws `INVALID_OPTION`; what the network does is told by events.
   */
  new <Schemas extends AnySchemas, Own extends string, _Inferred>(
    options: InferringOptions<EndpointOptions, Schemas, Own>,
  ): Endpoint<GroupsOf<Schemas>, Own>
  new <Groups extends object = Record<string, unknown>, Own extends MemberName<Groups> = MemberName<Groups>>(
    options: EndpointOptions<Groups, Own>,
  ): Endpoint<Groups, Own>

  /**
   * Makes an endpoint that the relay has accepted. While the relay is not up it retries for `connectTimeoutMs` and then
   * rejects with `CONNECT_TIMEOUT`, whose cause is the last error; a refusal (a wrong password, a full group, ...) rejects at
   * once with its own class of error. The option `on: { connecting }` shows each attempt.
   */
  connect<Schemas extends AnySchemas, Own extends string, _Inferred>(
    options: InferringOptions<EndpointConnectOptions, Schemas, Own>,
  ): Promise<Endpoint<GroupsOf<Schemas>, Own>>
  connect<Groups extends object = Record<string, unknown>, Own extends MemberName<Groups> = MemberName<Groups>>(
    options: EndpointConnectOptions<Groups, Own>,
  ): Promise<Endpoint<Groups, Own>>
}

export const Endpoint: EndpointClass = Implementation
