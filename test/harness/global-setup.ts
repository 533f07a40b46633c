import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guard, startPostgres, toolchain } from '@longshore/local';
import { offerS3 } from './shared-s3.ts';

/**
 * One Postgres server for the whole run, an S3 server once a test asks for it, and the project's own copies of the foreign
 * programs first on PATH.
 */
export default async function setUp(): Promise<() => Promise<void>> {
  const stopServer = await startServer({ durable: false });
  const stopS3 = await offerS3();
  return async () => {
    await Promise.all([stopServer(), stopS3()]);
  };
}

/** `durable` as `npm start` has it: with a wait for the disk at each commit. */
export async function startServer(options: { durable: boolean }): Promise<() => Promise<void>> {
  await usePrograms();
  const directory = await mkdtemp(join(tmpdir(), 'longshore-test-postgres-'));
  guard().removeWithUs(directory);
  const postgres = await startPostgres(directory, options);
  process.env.LONGSHORE_TEST_POSTGRES = postgres.url;
  return async () => {
    await postgres.close();
    await rm(directory, { recursive: true, force: true });
  };
}

/** Puts the project's own copies of the foreign programs first on PATH. */
export async function usePrograms(): Promise<void> {
  const { env } = await toolchain();
  Object.assign(process.env, {
    PATH: env.PATH,
    ...(env.LD_LIBRARY_PATH && { LD_LIBRARY_PATH: env.LD_LIBRARY_PATH }),
  });
}
