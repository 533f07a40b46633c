import setUp from './harness/global-setup.ts';
import { pushTestImages } from './harness/images.ts';
import { startStack } from './harness/stack.ts';

const down = await setUp();
const only = ['content', 'image', 'snapshot', 'runtime', 'events', 'agent'];
try {
  const stack = await startStack({ only: only as never, env: { LONGSHORE_LOG_LEVEL: 'debug' } });
  try {
    console.log('up', stack.state, stack.root);
    const images = await pushTestImages(stack.registry);
    await stack.ctr.ok(['image','pull','--plain-http',images.busybox]);
for (let i=0;i<6;i++) await stack.ctr.ok(['run','--rm',images.busybox,'w'+i,'true']);
const t0=new Date().toISOString();
const t=performance.now();
await stack.ctr.ok(['run','--rm',images.busybox,'prof','true']);
console.log('took', performance.now()-t, t0, new Date().toISOString());
const { residentMegabytes } = await import('./harness/resident-memory.ts');
for (let i=0;i<10;i++) await Promise.all([0,1,2,3,4,5,6,7,8,9].map((k)=>stack.ctr.ok(['run','--rm',images.busybox,'x'+i+'-'+k,'true'])));
for (const n of only) console.log(n, residentMegabytes(stack.services.pid(n as never)));
await new Promise((r)=>setTimeout(r,20000));
for (const n of only) console.log(n, residentMegabytes(stack.services.pid(n as never)));
if (process.env.HOLD)
      await new Promise(() => {
        setInterval(() => {}, 1000);
      });
  } finally {
    const { execSync } = await import('node:child_process');
    execSync(`rm -rf /tmp/zzlogs; cp -r ${stack.state}/logs /tmp/zzlogs`);
    await stack.close();
  }
} finally {
  await down();
}
