// SPDX-License-Identifier: MIT
// Node's net module, with what its documentation offers for speed: onread with one buffer for all
// connections instead of a buffer per read, latin1 strings, setTimeout on the socket. With tls=FILE
// the module tls, with one context for all connections; without a session given, none is resumed.
// Run by tests/bench/run.
'use strict';
const fs = require('fs');
const net = require('net');
const tls = require('tls');

const job = { timeouts: 1 };
for (const argument of process.argv.slice(2)) {
  const [key, value] = argument.split('=');
  job[key] = /^\d+$/.test(value) ? Number(value) : value;
}

const LINE = 'ping 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRS\r\n';
const CONNECT_TIMEOUT_MS = 30000;
const INPUT_TIMEOUT_MS = 300000;
const SETTLE_MS = 500; // idle with TLS: for what the server sends after the handshake
const HANDSHAKES = 512; // at a time
const perConnection = Math.floor((job.operations || 0) / job.connections);
const expected = perConnection * job.connections;
const endsByEof = job.work === 'bulk' || job.work === 'lines';

const figures = { operations: 0, bytes: 0, errors: 0, memory_bytes: 0 };
const open = [];
let started = 0;
let ended = 0;
let cpu, wall;

function begin() {
  cpu = process.cpuUsage();
  wall = process.hrtime.bigint();
}

function report(code) {
  const used = process.cpuUsage(cpu);
  figures.cpu_user_s = used.user / 1e6;
  figures.cpu_system_s = used.system / 1e6;
  figures.wall_s = Number(process.hrtime.bigint() - wall) / 1e9;
  fs.writeSync(1, JSON.stringify(figures) + '\n');
  process.exit(code);
}

function memory() {
  if (global.gc) global.gc();
  const text = fs.readFileSync('/proc/self/smaps_rollup', 'latin1');
  return Number(/^Anonymous:\s+(\d+)/m.exec(text)[1]) * 1024;
}

function fail() {
  figures.errors++;
  report(1);
}

function takeStormLine(socket, line) {
  if (line !== LINE) fail();
  figures.operations++;
  if (job.tls) socket.destroySoon(); // says close_notify
  else socket.destroy();
  if (started < job.operations) startConnection();
  else if (figures.operations === job.operations) report(0);
}

function takePingpongLine(socket, line) {
  if (line !== LINE) fail();
  figures.operations++;
  if (--socket.left > 0) socket.write(LINE, 'latin1');
  else if (figures.operations === expected) report(0);
}

let lastLine = '';

function takeLine(socket, line) {
  if (line === lastLine) fail();
  lastLine = line;
  figures.operations++;
}

const handler = { storm: takeStormLine, pingpong: takePingpongLine, lines: takeLine }[job.work];

function cutLines(socket, chunk) {
  if (socket.rest) {
    chunk = socket.rest + chunk;
    socket.rest = '';
  }
  let from = 0;
  for (let to; (to = chunk.indexOf('\n', from)) >= 0; from = to + 1)
    handler(socket, chunk.slice(from, to + 1));
  if (from < chunk.length) socket.rest = chunk.slice(from);
}

function reportIdle() {
  figures.operations = open.length;
  figures.memory_bytes = memory() - figures.memory_bytes;
  report(0);
}

function onConnect(socket) {
  if (job.timeouts) socket.setTimeout(INPUT_TIMEOUT_MS);
  open.push(socket);
  if (job.tls && started < job.connections) startConnection();
  if (job.work === 'storm') {
    open.length = 0;
    socket.write(LINE, 'latin1');
  } else if (open.length === job.connections && job.work === 'pingpong') {
    begin();
    for (const each of open) each.write(LINE, 'latin1');
  } else if (open.length === job.connections && job.work === 'idle') {
    setTimeout(reportIdle, job.tls ? SETTLE_MS : 0);
  }
}

function onClose() {
  if (!endsByEof) return;
  if (++ended < job.connections) return;
  if (job.work === 'bulk') figures.operations = figures.bytes;
  report(0);
}

const shared = Buffer.allocUnsafe(65536);

const secure = job.tls && {
  secureContext: tls.createSecureContext({ ca: fs.readFileSync(job.tls) }),
  servername: 'peer.test',
};

function startConnection() {
  const socket = (job.tls ? tls : net).connect({
    ...secure,
    host: `127.0.0.${1 + (started++ % 32)}`,
    port: job.port,
    noDelay: true,
    onread: {
      buffer: shared,
      callback(length, buffer) {
        figures.bytes += length;
        if (handler) cutLines(socket, buffer.latin1Slice(0, length));
        return true;
      },
    },
  });
  socket.left = perConnection;
  socket.rest = '';
  if (job.timeouts) {
    socket.setTimeout(CONNECT_TIMEOUT_MS);
    socket.on('timeout', fail);
  }
  socket.on(job.tls ? 'secureConnect' : 'connect', () => onConnect(socket));
  socket.on('error', fail);
  socket.on('close', onClose);
}

begin();
if (job.work === 'idle') figures.memory_bytes = memory();
const first = job.tls ? Math.min(job.connections, HANDSHAKES) : job.connections;
for (let i = 0; i < first; i++) startConnection();
