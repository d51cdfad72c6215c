import type { open } from 'lmdb'
import { createError } from '../../errors.ts'

/** What makes a database of a folder. */
export type OpenDatabase = typeof open

/** Loads the optional package; only when a store is opened, so that everything else works without it. */
export async function loadLmdb(
  importPackage: () => Promise<{ open: OpenDatabase }> = () => import('lmdb'),
): Promise<OpenDatabase> {
  try {
    return (await importPackage()).open
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND'
    const fault = isMissing ? 'is not installed' : 'cannot be loaded on this machine'
    const message = `The package lmdb, which the store keeps its data with, ${fault}. Run: npm install lmdb`
    throw createError('STORE_MISSING_PACKAGE', message, { cause, details: { package: 'lmdb' } })
  }
}
