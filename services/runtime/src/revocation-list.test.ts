import { createLogger } from '@longshore/kit';
import { Revocations } from '@longshore/transport';
import { expect, it } from 'vitest';
import { RevocationList } from './revocation-list.ts';
import type { CertificateRepository } from './storage/postgres/certificate-repository.ts';

it('a revocation is not forgotten for an answer that was asked for before it, and came later', async () => {
  const answers: PromiseWithResolvers<string[]>[] = [];
  const certificates = {
    revoked: () => {
      const answer = Promise.withResolvers<string[]>();
      answers.push(answer);
      return answer.promise;
    },
  } as unknown as CertificateRepository;
  const revocations = new Revocations();
  const opening = RevocationList.open(certificates, revocations, createLogger('runtime', 'silent'));
  answers[0]!.resolve([]);
  const list = await opening;
  list.close();
  const late = list.look();
  await Promise.resolve();
  const look = list.look();
  await Promise.resolve();
  // Answers of the database come in any order.
  answers[2]?.resolve(['a1']);
  answers[1]!.resolve([]);
  await late;
  await Promise.resolve();
  answers[2]!.resolve(['a1']);
  await look;
  expect(revocations.serials).toEqual(['a1']);
});
