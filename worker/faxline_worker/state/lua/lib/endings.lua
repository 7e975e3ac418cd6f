-- The end of a job: what it takes with it, and what is counted.

-- Removes a member from an index: now, or with the batch.
local function take_out(batch, command, key, member)
  if not batch then return redis.call(command, key, member) end
  local removed = batch.removed
  removed[command] = removed[command] or {}
  removed[command][key] = removed[command][key] or {}
  table.insert(removed[command][key], member)
end

-- Counts n jobs that ended in this state: now, or with the batch.
local function count_ended(batch, state, n)
  if not batch then return redis.call('HINCRBY', keys.account_state, 'done:' .. state, n) end
  batch.ended[state] = (batch.ended[state] or 0) + n
end

-- What the write that ends a job changes, along with what is given: the request with its cover texts goes, unless it is kept
-- for a while; what was counted for it under the ceiling of bytes; and the claim on its documents, whose digests are in
-- `freed` from then on.
local function changes_at_end(options, job, changes)
  if options.request_retention == 0 then changes.request = '' end
  if job.documents then job.freeing, changes.freed, changes.documents = job.documents, job.documents, '' end
  if job.bytes then job.counted, changes.bytes = job.bytes, '' end
  return changes
end

-- A cancellation that was asked for is answered, however the job ends.
local function answer_cancel(options, id, job, said)
  job.canceling = nil
  redis.call('HSET', keys.job .. id, 'canceling', '')
  said.state = job.state
  if job.canceler ~= '' then said.by = job.canceler end
  tell_cause(job, said)
  job.event = emit(options.cap, 'fax.cancel_refused', id, to_json(said, job.job_id, job.metadata))
end

local finish
do
  -- Documents that no job needs any more go after the grace (`tidy`), because an entry that is still to come may name them.
  -- Returns how many of their bytes were counted under the ceiling, if there is one.
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

  -- The job has ended: it is counted, and its record lives on for the retention (ms), its group at least as long.
  function finish(options, id, job, batch)
    count_ended(batch, job.state, 1)
    if job.expires_at then redis.call('ZREM', keys.expiring, id) end
    if job.canceling and job.state ~= 'canceled' then answer_cancel(options, id, job, { reason = 'final' }) end
    local freed = (tonumber(job.counted) or 0) + (job.freeing and release_documents(options, job) or 0)
    if freed > 0 then redis.call('HINCRBY', keys.account_state, 'bytes', int(-freed)) end
    job.freeing, job.documents, job.counted, job.bytes = nil, nil, nil, nil
    if options.request_retention > 0 then
      redis.call('ZADD', keys.outdated, int(now + options.request_retention), id)
    end
    redis.call('PEXPIRE', keys.job .. id, options.retention)
    if job.group then live_together(options.retention, job.group, id) end
  end
end
