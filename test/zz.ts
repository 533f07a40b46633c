import setUp from './harness/global-setup.ts';
import { startStack } from './harness/stack.ts';
import { pushTestImages } from './harness/images.ts';
const down = await setUp();
const only = ['content','image','snapshot','runtime','events','agent'];
try {
const stack = await startStack({ only: only as never, env: { LONGSHORE_LOG_LEVEL: 'debug' } });
try {
console.log('up', stack.state, stack.root);
const images = await pushTestImages(stack.registry);
console.log(await stack.ctr.run(['version']));
console.log(await stack.ctr.run(['plugins','ls']));
console.log(await stack.ctr.run(['image','pull','--plain-http',images.busybox]));
console.log(await stack.ctr.run(['run','--rm',images.busybox,'a','echo','hi']));
console.log(await stack.ctr.run(['run','--rm',images.busybox,'a','echo','hi']));
if (process.env.HOLD) await new Promise(()=>{ setInterval(()=>{},1000)});
} finally { const {execSync} = await import('node:child_process'); execSync(`rm -rf /tmp/zzlogs; cp -r ${stack.state}/logs /tmp/zzlogs`); await stack.close(); }
} finally { await down(); }
