-- register: a batch of intake entries becomes jobs, rejections or nothing (a repeat), and leaves the stream.
-- include: clock bell record events ready_set doubts backlog group_lives groups audit pending_entries refusals rejections
-- include: new_jobs known_again
-- ARGV  consumer group, JSON options, JSON list of items: {entry, reject = {job, member, reason, message}, metadata (JSON),
--       unless = [{id, digest}] (if all of these jobs are known, the entry is a repeat)} or {entry, name, jobs = [{id,
--       digest, rank, fields…}]}; each with the entry's group and its size, if it has them, and order = {who, user (for the
--       audit), by (for the event)} of a resend
-- reply JSON {event (the last that was written), rows = [[registered | repeated | rejected | gone, reason of a rejection]],
--       one for each item}
local group, options, items = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
if options.ceiling_jobs == 0 and options.ceiling_bytes == 0 then keep_for_archive(options, read_steady(nil, 'archive')) end
local batch = new_batch(options, items, pending_entries(group, items))

-- The jobs of an entry that are new; or nil, and item.reject is set.
local function new_jobs_of(item)
  local new = {}
  for _, job in ipairs(item.jobs) do
    local refused = refusal(batch, job)
    if type(refused) == 'table' then
      item.reject = refused
      return nil
    end
    if not refused then table.insert(new, job) end
  end
  local full = refuse_if_full(options, batch.backlog, new)
  if not full then return new end
  full.job, full.member = item.name or item.jobs[1].id, ''
  item.reject = full
end

-- First what becomes of each item, which may raise and stores nothing. Then the indexes, so that no record ever stands in
-- none of them. Then the records and events, in the order of the entries.
for _, item in ipairs(items) do
  if not batch.pending[item.entry] then
    item.gone = true
  elseif not item.reject then
    item.new = new_jobs_of(item)
    for _, job in ipairs(item.new or {}) do
      batch.fresh[job.id] = job
      place_job(batch, job)
    end
  end
end
write_indexes(batch)

local function carry_out(item)
  if item.reject then
    if are_known(item.unless) then return 'repeated', '' end
    reject(batch, item, item.reject)
    return 'rejected', item.reject.reason
  end
  for _, job in ipairs(item.new) do store_job(batch, job, item.order and item.order.by) end
  for _, job in ipairs(item.jobs) do
    if job.known_again then know_again(job) end
  end
  return #item.new > 0 and 'registered' or 'repeated', ''
end

-- A resend is somebody's order, so the audit has it.
local OUTCOMES = { registered = 'done', repeated = 'idle', rejected = 'refused' }
local function note_order(item, result, reason)
  audit(options, item.order.who, 'resend', { user = item.order.user, job = item.name, about = item.jobs[1].of,
    outcome = OUTCOMES[result], reason = reason })
end

local rows, done = {}, {}
for i, item in ipairs(items) do
  if item.gone then
    rows[i] = { 'gone', '' }
  else
    local result, reason = carry_out(item)
    rows[i] = { result, reason }
    if item.order then note_order(item, result, reason) end
    if item.group and item.size then batch.groups[item.group] = item.size end
    table.insert(done, item.entry)
  end
end
for name, size in pairs(batch.groups) do
  if size then note_size(name, size) end
  live_together(options.retention, name)
end
count_taken(options, batch.backlog)
if #done > 0 then
  redis.call('XACK', keys.intake, group, unpack(done))
  redis.call('XDEL', keys.intake, unpack(done))
end
return cjson.encode({ event = batch.event, rows = rows })
