import type { StoredObject } from '../store/store.ts'
import type { ParsedRoute } from '../wire/objectHeader.ts'
import type { RouteCache } from '../wire/routeCache.ts'

/** The route of an object, as its sender wrote it. */
export function routeOf(routes: RouteCache, object: StoredObject): ParsedRoute {
  if ('begin' in object) return routes.read(object.begin, 0, object.begin.length)
  const { buffer } = object
  return routes.read(buffer, object.start, object.end)
}
