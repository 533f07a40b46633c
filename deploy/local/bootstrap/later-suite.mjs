import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aptGet } from './apt.mjs';
import { unpackAll } from './private-packages.mjs';
import { SetUpError } from './report.mjs';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Unpacks packages of another suite of Debian than this machine's, with lists of its own, which know that suite and no
 * installed package: the machine's apt stays as it is.
 * @param {string} scratch
 * @param {string} suite
 * @param {string[]} packages
 * @returns {Promise<string>} the root of the tree, below `scratch`
 */
export async function unpackFromSuite(scratch, suite, packages) {
  mkdirSync(join(scratch, 'lists/partial'), { recursive: true });
  writeFileSync(
    join(scratch, 'sources.list'),
    `deb [signed-by=${KEYRING}] ${await ownArchive()} ${suite} main\n`,
  );
  writeFileSync(join(scratch, 'status'), '');
  const own = [
    `Dir::Etc::SourceList=${join(scratch, 'sources.list')}`,
    'Dir::Etc::SourceParts=/dev/null',
    `Dir::State::Lists=${join(scratch, 'lists')}`,
    `Dir::State::Status=${join(scratch, 'status')}`,
    `Dir::Cache=${scratch}`,
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
  ].flatMap((option) => ['-o', option]);
  await aptGet([...own, 'update']);
  await aptGet([...own, 'download', ...packages], { cwd: scratch });
  return await unpackAll(scratch);
}

/** Where this machine has Debian from: a mirror has the later suites too. */
async function ownArchive() {
  const { stdout } = await aptGet(['indextargets', '--format', '$(REPO_URI)', 'Identifier: Packages']);
  const archive = stdout.split('\n').find((uri) => uri !== '' && !uri.includes('security'));
  if (!archive) throw new SetUpError("apt's sources name no archive of Debian");
  return archive;
}
