#!/usr/bin/env node
// A fax with ioredis: push it, follow its events in a consumer group to the end; or cancel one.
//
//   node fax.js send ID NUMBER FILE    such as: node fax.js send invoice-77 +12025550123 letter.pdf
//   node fax.js cancel ID
//
// Exit code: 0 delivered (of cancel: canceled), 1 it ended otherwise, 2 rejected or bad usage, 3 Redis did not
// answer or WAIT was over: run it again with the same ID, which sends nothing twice.
//
// REDIS_URL, FAXLINE_ACCOUNT (default), WAIT (seconds, 3600)

import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import Redis from 'ioredis';

const USAGE = 'usage: fax.js send ID NUMBER FILE | fax.js cancel ID';
const FINAL = ['delivered', 'failed', 'canceled', 'unconfirmed'];
const PREFIX = `fax:{${process.env.FAXLINE_ACCOUNT || 'default'}}`; // the braces are part of the key
const EVENTS = `${PREFIX}:events`;
const KEEP = 7 * 86_400; // seconds that an upload is kept until its entry is read
const BLOCK = 1_000; // milliseconds that a read waits for an event
const WAIT = Number(process.env.WAIT || 3_600);

class GiveUp extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Upload a document under a name that nobody can guess; one transaction with the entry: Redis takes both or neither. */
async function pushFax(redis, id, number, path) {
  const bytes = await readFile(path).catch((error) => {
    throw new GiveUp(2, `cannot read ${path}: ${error.code}`);
  });
  const hex = createHash('sha256').update(bytes).digest('hex');
  const upload = randomUUID();
  const entry = {
    id, // the same id again is ignored, so a push whose reply was lost can be made again
    fax: { faxNumber: number, faxData: [{ fileName: basename(path), document: `sha256:${hex}`, upload }] },
  };
  return push(
    redis
      .multi()
      .set(`${PREFIX}:upload:${upload}`, bytes, 'EX', KEEP)
      .xadd(`${PREFIX}:intake`, '*', 'send', JSON.stringify(entry)),
  );
}

async function pushCancel(redis, id) {
  return push(redis.multi().xadd(`${PREFIX}:intake`, '*', 'cancel', JSON.stringify({ id })));
}

/** Run the transaction; returns the entry's stream id. */
async function push(transaction) {
  const replies = await transaction.exec();
  const failed = replies.find(([error]) => error);
  if (failed) throw failed[0];
  return replies.at(-1)[1];
}

/** The events of a group, each acknowledged once it was worked on; null where none comes for a while. */
async function* eventsOf(redis, group) {
  // What was delivered and never acknowledged comes first, and again whenever it is quiet: a process may have died
  // over it, or a reply been lost.
  let since = '0';
  for (;;) {
    const reply = await redis.xreadgroup(
      'GROUP', group, 'me', 'COUNT', 100, 'BLOCK', BLOCK, 'STREAMS', EVENTS, since,
    );
    const entries = reply?.[0][1] ?? [];
    if (entries.length === 0) {
      if (since === '>') yield null;
      since = since === '>' ? '0' : '>';
    }
    for (const [entry, flat] of entries) {
      if (flat) { // null: the stream's cap has dropped it meanwhile
        const fields = {};
        for (let i = 0; i < flat.length; i += 2) fields[flat[i]] = flat[i + 1];
        yield { name: fields.event, job: fields.job, data: JSON.parse(fields.data) };
      }
      await redis.xack(EVENTS, group, entry);
    }
  }
}

/** Follow a job to its end; returns the exit code. */
async function follow(redis, group, id, entry, wanted) {
  const until = Date.now() + WAIT * 1_000;
  let asked = Date.now();
  let state;
  for await (const event of eventsOf(redis, group)) {
    if (event?.job === id) {
      const { reason, member, message } = event.data; // the message says how to mend it
      if (event.name === 'fax.rejected') {
        if (event.data.entry === entry) { // else an older push of the same id
          console.log(`${event.name} ${reason}${member ? ` (${member})` : ''}${message ? `: ${message}` : ''}`);
          return 2;
        }
      } else {
        console.log(reason ? `${event.name} ${reason}` : event.name);
        if (event.name === 'fax.cancel_refused' && wanted === 'canceled') return 1;
        state = event.name.slice('fax.'.length);
        if (FINAL.includes(state)) return state === wanted ? 0 : 1;
      }
    }
    if (!event || Date.now() > asked + 5_000) {
      // A job that had ended before the push, or whose event the cap has dropped, has its state in the record.
      asked = Date.now();
      state = await redis.hget(`${PREFIX}:job:${id}`, 'state');
      if (FINAL.includes(state)) {
        console.log(`the record says ${state}`);
        return state === wanted ? 0 : 1;
      }
    }
    if (Date.now() > until) throw new GiveUp(3, `${id} has not ended within ${WAIT} s and is ${state}`);
  }
}

let away; // why Redis is not reached; the command that fails says only that it was tried

async function main([command, id, number, path, ...rest]) {
  const sends = command === 'send' && path !== undefined && rest.length === 0;
  const cancels = command === 'cancel' && id !== undefined && number === undefined;
  if (!sends && !cancels) throw new GiveUp(2, USAGE);
  if (!(WAIT >= 0)) throw new GiveUp(2, 'WAIT is a number of seconds');
  const url = new URL(process.env.REDIS_URL || 'redis://localhost:6379/0');
  const trusted = url.searchParams.get('ssl_ca_certs'); // with rediss:// the authority of the server's certificate
  url.search = '';
  const redis = new Redis(url.href, {
    ...(trusted === null ? {} : { tls: { ca: await readFile(trusted) } }),
    commandTimeout: BLOCK + 10_000, // a server that is there and says nothing
    maxRetriesPerRequest: 3,
    enableReadyCheck: false, // it asks with INFO, to which a producer has no right
  });
  redis.on('error', (error) => { away = error; });
  // A service has one group for all its faxes, of a name that stays, and in it a consumer for each of its processes.
  // This follows one fax in one process, so the group is its own, and goes with it.
  const group = `example:${randomUUID()}`;
  try {
    await redis.xgroup('CREATE', EVENTS, group, '$', 'MKSTREAM'); // before the push, so that no event is missed
    try {
      const entry = sends ? await pushFax(redis, id, number, path) : await pushCancel(redis, id);
      return await follow(redis, group, id, entry, sends ? 'delivered' : 'canceled');
    } finally {
      await redis.xgroup('DESTROY', EVENTS, group);
    }
  } finally {
    redis.disconnect();
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    const { message } = error.name === 'MaxRetriesPerRequestError' && away ? away : error;
    console.error(`fax.js: ${error.code ? '' : 'Redis did not do it: '}${message}`);
    process.exitCode = typeof error.code === 'number' ? error.code : 3;
  },
);
