-- receipt: entries of the status stream meet their jobs and leave the stream.
-- include: clock bell record events group_lives endings batch_of_ends ready_set lines line_ends offers numbers unmatched
-- include: redeliveries redials early_receipts doubts other_words outcomes control_calls other_requests receipts meetings
-- include: claims
-- ARGV  JSON options, JSON list, oldest first, of {entry, receipt = {job_id, outcome, code, reason, message, pages,
--       transferred, to, sender, started, ended, again, redial, digest, raw}}; or of a fax that came to us receipt =
--       {outcome = received, job_id = by what it is known, about = its jobId, data = what the event tells}; the steady
--       clock as the caller knows it (ms, or empty); whether the receipts have `raw` (1, or empty)
-- reply JSON {now (ms), archive (true: one is on), rows = list of {result = applied | repeated | resolved_doubt | unmatched |
--       held | told | received | gone | raised, job, attempt, submitted_at, retried, after (told: how the job had ended, if
--       that is news), error}}; one that raised stays on the stream, those beside it go on. Without rows nothing was done:
--       an archive is on, and `raw` is missing
local options, items = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])

-- What stands under each jobId, and whether an archive is on: asked in one go. It is kept up by what this script writes there.
local known = {}
local function read_job_ids()
  local names = { keys.archive }
  for i, item in ipairs(items) do names[i + 1] = keys.job_ids .. item.receipt.job_id end
  local values = redis.call('MGET', unpack(names))
  for i, item in ipairs(items) do known[item.receipt.job_id] = values[i + 1] end
  keep_for_archive(options, values[1])
end

-- A fax that came to us is told once, however often its webhook comes: iFax tries for two hours.
local function tell_received(fax)
  local known_for = math.max(options.keep, options.deadline)
  if not redis.call('SET', keys.received .. fax.job_id, '1', 'NX', 'PX', int(known_for)) then
    return { result = 'repeated' }
  end
  emit(options.cap, 'fax.received', '', to_json(fax.data, fax.about))
  return { result = 'received' }
end

local timed = false
-- Only a held or an unmatched receipt needs it, or a job that may go on waiting for another request's word. A job that follows
-- in a line keeps its own place: it waited there because it was due.
local function read_steady_clock() -- once, and only where it is needed
  if not timed then read_strictest(options, ARGV[3]) end
  timed = true
end

-- Kept under its jobId: a submission in flight may claim it when its answer arrives.
local function keep_receipt(receipt)
  read_steady_clock()
  receipt.at, receipt.due = steady, claimed_by(options)
  known[receipt.job_id] = cjson.encode(receipt)
  redis.call('SET', keys.job_ids .. receipt.job_id, known[receipt.job_id], 'PX', options.keep)
  await_match(options, receipt)
  return { result = 'unmatched' }
end

local function meet(receipt, batch)
  if not options.archive then receipt.raw = nil end
  if receipt.outcome == 'received' then return tell_received(receipt) end
  local id = known[receipt.job_id]
  local earlier = is_receipt(id) and cjson.decode(id)
  if earlier and not is_later(options, receipt, earlier) then return { result = 'repeated' } end
  if earlier then id = earlier.of end
  if not id then return keep_receipt(receipt) end
  local job = read_record(keys.job .. id)
  if not job then return { result = 'repeated' } end
  if is_of_another(job, receipt.job_id, receipt.to) then
    local reply = keep_receipt(receipt)
    if job.state == 'submitted' and job.job_id == receipt.job_id then doubt_again(options, id, job) end
    return reply
  end
  if may_redial(options, receipt) or job.also or job.undecided then read_steady_clock() end
  local result = meet_job(options, id, job, receipt, batch)
  if receipt.of then
    known[receipt.job_id] = cjson.encode(receipt)
  elseif earlier then -- the request is answered that was under way when the earlier one was kept
    known[receipt.job_id] = id
    redis.call('SET', keys.job_ids .. receipt.job_id, id, 'PX', int(options.retention + options.deadline))
  end
  return { result = result, job = id, attempt = job.attempt, submitted_at = tonumber(job.submitted_at),
    retried = receipt.retried, after = receipt.after }
end

local there, done, replies = {}, {}, {}
for _, entry in ipairs(redis.call('XRANGE', keys.status, items[1].entry, items[#items].entry)) do there[entry[1]] = true end
local batch = new_batch_of_ends()
read_job_ids()
if options.archive and ARGV[4] == '' then return cjson.encode({ archive = true }) end
for i, item in ipairs(items) do
  if not there[item.entry] then
    replies[i] = { result = 'gone' }
  else
    local well, reply = pcall(meet, item.receipt, batch)
    if well then
      table.insert(done, item.entry)
    else
      reply = { result = 'raised', error = tostring(type(reply) == 'table' and reply.err or reply) }
    end
    replies[i] = reply
  end
end
write_batch(batch)
if #done > 0 then redis.call('XDEL', keys.status, unpack(done)) end -- last, for nothing of this is undone by an error
return cjson.encode({ now = now, rows = replies, archive = options.archive })
