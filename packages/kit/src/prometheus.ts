/// <reference path="./prom-client-parts.d.ts" />
/**
 * What is used of prom-client. Its entry also has quantiles, a push gateway and a cluster's aggregation, which every start
 * would load.
 */
export { default as Counter } from 'prom-client/lib/counter.js';
export { default as Gauge } from 'prom-client/lib/gauge.js';
export { default as Histogram } from 'prom-client/lib/histogram.js';
export { default as Registry } from 'prom-client/lib/registry.js';
