import { describe, expect, it } from 'vitest';
import { httpTls } from './http-server.ts';

const NO_TLS = { tlsCert: '', tlsKey: '', tlsCa: '' };

describe('httpTls', () => {
  it.each(['127.0.0.1:0', '127.1.2.3:80', 'localhost:80', '[::1]:80'])('wants none on %s', (listen) => {
    expect(httpTls(listen, NO_TLS)).toBeUndefined();
  });

  it.each(['0.0.0.0:80', '[::]:80', '10.0.0.1:80', 'example.org:80', '127.example.org:80'])(
    'wants a certificate on %s',
    (listen) => {
      expect(() => httpTls(listen, NO_TLS)).toThrow(
        /other hosts need TLS; set LONGSHORE_TLS_CERT and LONGSHORE_TLS_KEY/,
      );
    },
  );
});
