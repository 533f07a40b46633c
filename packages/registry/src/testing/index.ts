export { FakeRegistry, type FakeRequest, type Fault } from './fake-registry.ts';
