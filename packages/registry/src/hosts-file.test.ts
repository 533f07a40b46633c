import { describe, expect, it } from 'vitest';
import { parseHostsFile } from './hosts-file.ts';

const PATH = '/certs.d/docker.io/hosts.toml';

const WHOLE = `
server = "https://registry-1.docker.io"
ca = "root.pem"

[host."https://mirror.example/prefix"]
  capabilities = ["pull", "Resolve", "referrers"]
  ca = ["a.pem", "/etc/b.pem"]
  client = [["client.cert", "client.key"], ["both.pem", ""], "alone.pem"]
  skip_verify = true
  [host."https://mirror.example/prefix".header]
    X-One = "1"
    x-two = ["2", "3"]

[host."http://127.0.0.1:5000/v2/"]
  capabilities = ["push"]

[host."harbor.example/v2/project"]
  override_path = true
`;

describe('parseHostsFile', () => {
  it('has hosts in their order, and the registry itself last', () => {
    const hosts = parseHostsFile(WHOLE, PATH);
    expect(hosts.map(({ endpoint }) => endpoint)).toEqual([
      'https://mirror.example/prefix/v2',
      'http://127.0.0.1:5000/v2',
      'https://harbor.example/v2/project',
      'https://registry-1.docker.io/v2',
    ]);
    expect(hosts.map(({ capabilities }) => [...capabilities])).toEqual([
      ['pull', 'resolve'],
      ['push'],
      ['pull', 'resolve', 'push'],
      ['pull', 'resolve', 'push'],
    ]);
    expect(hosts[0]).toMatchObject({
      caFiles: ['/certs.d/docker.io/a.pem', '/etc/b.pem'],
      clientFiles: [
        { cert: '/certs.d/docker.io/client.cert', key: '/certs.d/docker.io/client.key' },
        { cert: '/certs.d/docker.io/both.pem', key: undefined },
        { cert: '/certs.d/docker.io/alone.pem', key: undefined },
      ],
      skipsVerification: true,
      headers: { 'x-one': '1', 'x-two': '2, 3' },
    });
    expect(hosts[3]).toMatchObject({ caFiles: ['/certs.d/docker.io/root.pem'], skipsVerification: false });
  });

  it('leaves the registry where it is when no server is said, and knows where Docker Hub is', () => {
    expect(parseHostsFile('', PATH)).toMatchObject([{ endpoint: undefined, headers: {} }]);
    expect(parseHostsFile('server = "https://docker.io"', PATH)).toMatchObject([
      { endpoint: 'https://registry-1.docker.io/v2' },
    ]);
  });

  it.each([
    ['no TOML', 'server = ', /hosts file ".*hosts.toml"/],
    ['another capability', '[host."a.example"]\ncapabilities = ["fly"]', /capability "fly" is unknown/],
    ['a host that is no URL', '[host."https://"]', /no URL/],
    ['a password in a URL', '[host."https://me:secret@a.example"]', /no URL/],
    ['a host that is no table', 'host = ["a.example"]', /host must be tables/],
    ['a header that is a number', '[header]\nx-one = 1', /header "x-one" must be strings/],
    ['a client of three files', 'client = [["a", "b", "c"]]', /client must be/],
    ['a word for a truth', 'skip_verify = "yes"', /skip_verify must be/],
  ])('refuses %s', (_, text, message) => {
    const refused = () => parseHostsFile(text, PATH);
    expect(refused).toThrow(expect.objectContaining({ kind: 'FailedPrecondition' }));
    expect(refused).toThrow(message);
  });
});
