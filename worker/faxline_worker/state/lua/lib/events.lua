-- Events, and the transition of a job: one HSET, which writes fields and history together, and one XADD.

-- JSON that a producer or iFax gave (metadata, jobId) is inserted as it is, because cjson would change numbers.
local function to_json(data, job_id, metadata)
  local text = cjson.encode(data)
  local more = ''
  if job_id then more = more .. ',"jobId":' .. job_id end
  if metadata then more = more .. ',"metadata":' .. metadata end
  return string.sub(text, 1, -2) .. more .. '}'
end

-- While an archive is on (`since`: as its mark has it, or nothing), events are kept for it, up to the ceiling.
local function keep_for_archive(options, since)
  if not since then return end
  options.events_cap, options.cap, options.archive = options.cap, options.events_ceiling, true
end

-- What led to a job's next event, which alone tells it: job.cause = {started_at, ended_at (ms: the call to iFax), by (who
-- ordered it)}.
local function tell_cause(job, data)
  for name, value in pairs(job.cause or {}) do data[name] = value end
  job.cause = nil
end

-- The cause of an event that an answer of iFax's leads to. started: when the call began (ms), where that is known. took: how
-- long it lasted (ms), or nothing: there was no call.
local function cause_of(started, took)
  if not took then return nil end
  started = started or now - took
  return { started_at = started, ended_at = started + took }
end

-- What an event tells of the receipt that led to it: its digest, and when the fax's own call began and ended (ms).
local function receipt_facts(receipt)
  return { receipt = receipt.digest, call_started_at = receipt.started and receipt.started * 1000,
    call_ended_at = receipt.ended and receipt.ended * 1000 }
end

-- Writes an event, and returns its id.
local function emit(cap, name, id, text)
  return redis.call('XADD', keys.events, 'MAXLEN', '~', cap, '*', 'event', name, 'job', id, 'at', int(now), 'data', text)
end

-- changes: field -> value. `false` writes the empty string, which is no value, as for `read_record`. data: what the event tells.
-- job.event is the id of the event afterwards: the caller remembers how far it saw the account (recent_work.py). raw: the
-- receipt as it came, which the record keeps for the archive, or nil.
local function transition(cap, id, job, name, changes, data, raw)
  for field, value in pairs(changes) do job[field] = value ~= '' and value or nil end
  job.n = job.n + 1
  data.state = job.state
  data.attempt = job.attempt
  tell_cause(job, data)
  local record = { 'n', job.n, 'updated_at', int(now) }
  if raw then
    table.insert(record, 'r:' .. job.n)
    table.insert(record, raw)
  end
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
  job.event = emit(cap, name, id, to_json(data, job.job_id, job.metadata))
end
