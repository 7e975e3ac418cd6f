-- A job's record and its events. A transition is one HSET (fields and history together) and one XADD.
-- JSON text that a producer or iFax gave (metadata, jobId) is spliced in as it is: cjson would bend numbers.
local FINAL = { delivered = true, failed = true, canceled = true, unconfirmed = true }
local RECORD = { 'state', 'attempt', 'n', 'metadata', 'place', 'permit', 'marked', 'job_id', 'priority',
  'created_at', 'number', 'tries', 'in_doubt', 'kind', 'submitted_at', 'expires_at', 'admitted_at', 'granted_at', 'settled',
  'doubted', 'sender', 'known_pages', 'cover', 'asked', 'also', 'group', 'attempts', 'deliveries',
  'resend_of', 'line', 'send_at', 'schedule', 'canceling', 'documents', 'bytes', 'v', 'refused_at', 'refusals',
  'quality', 'lowered', 'named' }
local LOST_DIGEST = '*'
-- A place in the ready set: the rank of the priority, then the time (us) of the registration since 2020, so that
-- it stays an exact double.
local EPOCH_US = 1577836800000000
local STRIDE = 2000000000000000

-- more: one further field to read, or nil. Raises where a newer layout than ours wrote it; with `leave` it gives nil
-- and true then, for the middle of a script.
local function read_record(key, more, leave)
  local values = redis.call('HMGET', key, more or 'state', unpack(RECORD))
  local job = {}
  for i, name in ipairs(RECORD) do
    if values[i + 1] ~= '' then job[name] = values[i + 1] or nil end
  end
  if more then job[more] = values[1] or nil end
  if leave and newer(job.v) then return nil, true end
  refuse_newer(job.v)
  if not job.state then return nil end
  job.attempt = tonumber(job.attempt) or 0
  job.tries = tonumber(job.tries) or 0
  job.n = tonumber(job.n) or 0
  return job
end

local function to_json(data, job_id, metadata)
  local text = cjson.encode(data)
  local more = ''
  if job_id then more = more .. ',"jobId":' .. job_id end
  if metadata then more = more .. ',"metadata":' .. metadata end
  return string.sub(text, 1, -2) .. more .. '}'
end

-- The id of the last event that a script wrote. Its caller remembers how far it saw the account (lineage.py).
local last_event

local function emit(cap, name, id, text)
  last_event = redis.call('XADD', keys.events, 'MAXLEN', '~', cap, '*', 'event', name, 'job', id, 'at', int(now), 'data', text)
end

-- Whether its next call is a resend of iFax's job. A lowered one goes as a whole fax: fax-resend takes no quality.
local function is_resent(job) return job.resend_of and not job.lowered end

-- Whether expires_at has passed, of a job that was not submitted by then.
local function is_over(job) return job.expires_at and tonumber(job.expires_at) <= now end

-- changes: field -> value (false deletes nothing: it writes the empty string, which readers take as none).
local function transition(cap, id, job, name, changes, data)
  for field, value in pairs(changes) do job[field] = value end
  job.n = job.n + 1
  data.state = job.state
  data.attempt = job.attempt
  local record = { 'n', job.n, 'updated_at', int(now) }
  local history = { event = name, at = now, state = job.state, attempt = job.attempt, code = data.code,
    reason = data.reason, retry_at = data.retry_at, delivery = data.delivery, attempts = data.attempts, wait = data.wait,
    again = data.again, quality = data.quality, stopped_by = data.stopped_by }
  table.insert(record, 'h:' .. job.n)
  table.insert(record, to_json(history, changes.job_id, nil))
  for field, value in pairs(changes) do
    table.insert(record, field)
    table.insert(record, tostring(value or ''))
  end
  redis.call('HSET', keys.job .. id, unpack(record))
  emit(cap, name, id, to_json(data, job.job_id, job.metadata))
end

-- Documents live on while a job that has not ended needs them.
local function need_documents(digests)
  for digest in string.gmatch(digests, '[^,]+') do
    redis.call('HINCRBY', keys.document_uses, digest, 1)
    redis.call('PERSIST', keys.document .. digest)
  end
end

-- Tells the dispatchers of a timer that is due before they would look.
local function ring_by_alarm(at)
  local alarm = tonumber(redis.call('HGET', keys.account_state, 'alarm'))
  if not alarm or at < alarm then ring() end
end

-- What a job's end takes with it, in the write that ends it: the request with its cover texts, unless it is kept for a
-- while, what was counted for it under the ceiling of bytes, and the claim on its documents, whose digests stand in
-- `freed` from then on.
local function ended(options, job, changes)
  if options.request_retention == 0 then changes.request = '' end
  if job.documents then job.freeing, changes.freed, changes.documents = job.documents, job.documents, '' end
  if job.bytes then job.counted, changes.bytes = job.bytes, '' end
  return changes
end

-- Documents that no job needs any more go after the grace (`tidy`): an entry that is still to come may name them. Returns
-- what was counted of them under the ceiling of bytes, where there is one.
local function release_documents(options, job)
  local freed, uses = 0, keys.document_uses
  local counted = options.ceiling_bytes > 0 or job.counted
  for digest in string.gmatch(job.freeing, '[^,]+') do
    if redis.call('HINCRBY', uses, digest, -1) <= 0 then
      if counted then freed = freed + (tonumber(redis.call('HGET', uses, digest .. ':bytes')) or 0) end
      redis.call('HDEL', uses, digest, digest .. ':bytes')
      redis.call('PEXPIRE', keys.document .. digest, options.document_ttl) -- should nobody tidy
      redis.call('ZADD', keys.released, int(now + options.document_grace), digest)
    end
  end
  return freed
end

-- A cancellation that was asked for is answered, however the job ends.
local function answer_cancel(options, id, job, said)
  job.canceling = nil
  redis.call('HSET', keys.job .. id, 'canceling', '')
  said.state = job.state
  emit(options.cap, 'fax.cancel_refused', id, to_json(said, job.job_id, job.metadata))
end

-- What leaves an index. A script that moves many jobs sets `gathered` to a table, and takes all of it out in one go, after
-- the last job: until then nothing of it is asked for again.
local gathered
local function take_out(command, key, member)
  if not gathered then return redis.call(command, key, member) end
  gathered[command] = gathered[command] or {}
  gathered[command][key] = gathered[command][key] or {}
  table.insert(gathered[command][key], member)
end
local function take_gathered()
  for command, keys_of in pairs(gathered) do
    for key, members in pairs(keys_of) do redis.call(command, key, unpack(members)) end
  end
end

-- How many jobs ended how. A script that ends many of them sets `tally` to a table and counts them all in one go.
local tally
local function count_ended(state, n)
  if not tally then return redis.call('HINCRBY', keys.account_state, 'done:' .. state, n) end
  tally[state] = (tally[state] or 0) + n
end
local function count_tally()
  for state, n in pairs(tally) do redis.call('HINCRBY', keys.account_state, 'done:' .. state, n) end
end

-- A job that came to its end: counted, and its record lives on for the retention (ms), its group as long.
local function finish(options, id, job)
  count_ended(job.state, 1)
  if job.expires_at then redis.call('ZREM', keys.expiring, id) end
  if job.canceling and job.state ~= 'canceled' then answer_cancel(options, id, job, { reason = 'final' }) end
  local freed = (tonumber(job.counted) or 0) + (job.freeing and release_documents(options, job) or 0)
  if freed > 0 then redis.call('HINCRBY', keys.account_state, 'bytes', int(-freed)) end
  job.freeing, job.documents, job.counted, job.bytes = nil, nil, nil, nil
  if options.request_retention > 0 then
    redis.call('ZADD', keys.outdated, int(now + options.request_retention), id)
  end
  redis.call('PEXPIRE', keys.job .. id, options.retention)
  for _, key in ipairs(job.group and { '', '!size', '!rejected' } or {}) do
    redis.call('PEXPIRE', keys.group .. job.group .. key, options.retention)
  end
end
