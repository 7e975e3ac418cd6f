-- register: a batch of intake entries becomes jobs, rejections or nothing (a repeat), and leaves the stream.
-- include: clock bell record lines numbers doubts backlog groups audit
-- ARGV  consumer group, JSON options, JSON list of items:
--         {entry, reject = {job, member, reason, message}, unless = [{id, digest}] (all of these jobs are known: it is a
--         repeat)} or {entry, name, jobs = [{id, digest, rank, fields…}]}; each with a group of the entry's and its size, if
--         it has them, and order = {who, user (for the audit)} of a resend
-- reply JSON {event (the last that it wrote), rows = list, one an item: registered, repeated, rejected or gone, with the
--       reason of a rejection}
local group, options = ARGV[1], cjson.decode(ARGV[2])
local cap, stamp = int(options.cap), int(now) -- texts: a number is written anew for each command
local backlog = (options.ceiling_jobs > 0 or options.ceiling_bytes > 0) and read_backlog() or nil
if not backlog then read_steady() end

local groups = {} -- what is told of them, by their names

local function reject(item, r)
  emit(cap, 'fax.rejected', r.job or '', to_json({ state = 'rejected', member = r.member, reason = r.reason,
    message = r.message, entry = item.entry, group = item.group }, nil, nil))
  if item.group and r.job and r.job ~= '' then
    note_rejection(options.retention, item.group,
      { id = r.job, member = r.member, reason = r.reason, message = r.message, at = now })
    groups[item.group] = groups[item.group] or false
  end
  return { 'rejected', r.reason }
end

-- Of a fax that was sent in a stretch that Redis lost, nothing is known but its id: whatever is pushed under it is a
-- repeat, for it must not go out again (recover).
local function same(held, digest) return held == digest or held == LOST_DIGEST end

local function repeats(jobs)
  for _, job in ipairs(jobs or {}) do
    if not same(redis.call('HGET', keys.job .. job.id, 'digest'), job.digest) then return false end
  end
  return jobs ~= nil
end

-- An entry that another dispatcher has registered is no longer pending (it comes here unread by none). Mostly these stand
-- together; where many others are pending between them, each is asked for.
local items, pending = cjson.decode(ARGV[3]), {}
local function ask(first, last, most)
  local found = redis.call('XPENDING', keys.intake, group, first, last, most)
  for _, entry in ipairs(found) do pending[entry[1]] = true end
  return #found == most
end
if ask(items[1].entry, items[#items].entry, 2 * #items + 100) then
  for _, item in ipairs(items) do
    if not pending[item.entry] then ask(item.entry, item.entry, 1) end
  end
end

-- Whether any of the jobs has a record; mostly none has, and one command tells.
local function any_known()
  local records = {}
  for _, item in ipairs(items) do
    for _, job in ipairs(pending[item.entry] and item.jobs or {}) do records[#records + 1] = keys.job .. job.id end
  end
  for i = 1, #records, 2000 do
    if redis.call('EXISTS', unpack(records, i, math.min(#records, i + 1999))) > 0 then return true end
  end
  return false
end
local some_known = any_known()

-- Jobs of this batch that are to be stored, by their ids; they have no record yet.
local fresh = {}

local function refusal(job)
  local held = fresh[job.id] and fresh[job.id].digest
    or some_known and redis.call('HGET', keys.job .. job.id, 'digest')
  if held then
    job.known_again = held == LOST_DIGEST
    if same(held, job.digest) then return 'repeated' end
    return { job = job.id, member = 'id', reason = 'id_reused',
      message = 'this id belongs to a job with other content; take a new id' }
  end
  if job.of then
    local origin = fresh[job.of] and {} or read_record(keys.job .. job.of)
    local job_id = origin and (origin.job_id or origin.resend_of)
    if not origin then
      return { job = job.id, member = 'of', reason = 'unknown_job', message = 'no such job on this account' }
    elseif not job_id then
      return { job = job.id, member = 'of', reason = 'unknown_job', message = 'that job has no iFax jobId to resend' }
    end
    job.fields.request = '{"jobId":' .. job_id .. (job.fields.number and
      ',"faxNumber":"' .. job.fields.number .. '"' or '') .. '}'
    job.fields.number = job.fields.number or origin.number
    for _, name in ipairs({ 'sender', 'known_pages', 'cover' }) do job.fields[name] = origin[name] end
  end
  return nil
end

-- The texts that are the same for all jobs, and what goes into the indexes: one command each.
local history = to_json({ event = 'fax.queued', at = now, state = 'queued', attempt = 0 }, nil, nil)
local queued = to_json({ state = 'queued', attempt = 0 }, nil, nil)
local place, ready, expiring, first = 0, {}, {}, nil -- the place counts those that are taken; the first to expire (ms)

-- A place for it, and its entries in the indexes.
local function prepare(job)
  place = place + 1
  job.turn = place
  if backlog then backlog.taken = place end
  local fields = job.fields
  job.send_at = tonumber(fields.send_at)
  if job.send_at and job.send_at <= now then job.send_at = nil end -- at once
  fields.place = int(job.rank * STRIDE + (job.send_at and job.send_at * 1000 + now_us - TIME_US or now_us) - EPOCH_US + place)
  if not job.send_at and not is_over(fields) then
    ready[#ready + 1], ready[#ready + 2] = fields.place, job.id
  end
  if fields.expires_at then -- run_timers ends it then, or now
    first = math.min(first or math.huge, tonumber(fields.expires_at))
    table.insert(expiring, fields.expires_at)
    table.insert(expiring, job.id)
  end
end

local function store(job)
  local fields = job.fields
  if job.send_at and fields.schedule == 'local' then
    redis.call('ZADD', keys.delayed, int(job.send_at), job.id)
    ring_by_alarm(job.send_at)
  elseif job.send_at then
    enter_ready(job.id, fields)
  end
  if fields.documents then need_documents(fields.documents) end
  local name = fields.group and keys.group .. fields.group
  if name then redis.call('SADD', name, job.id) end
  local record = { 'n', '1', 'updated_at', stamp, 'h:1', history, 'created_at', stamp, 'state', 'queued', 'digest',
    job.digest }
  local last = #record
  for field, value in pairs(fields) do
    record[last + 1], record[last + 2] = field, value
    last = last + 2
  end
  redis.call('HSET', keys.job .. job.id, unpack(record))
  local text = queued
  if job.send_at or fields.metadata then
    text = to_json({ state = 'queued', attempt = 0, send_at = job.send_at }, nil, fields.metadata)
  end
  emit(cap, 'fax.queued', job.id, text)
  if name and (now + job.turn) % EVERY == 0 then thin_out(name) end
end

-- Of a fax of which nothing was known but its id: what a receipt is told by, so that it finds the doubts again.
local function know_again(job)
  local record, changes = read_record(keys.job .. job.id), {}
  if record.number or not job.fields.number then return end
  for _, name in ipairs({ 'number', 'sender', 'known_pages', 'cover', 'metadata' }) do
    if job.fields[name] then
      record[name] = job.fields[name]
      table.insert(changes, name)
      table.insert(changes, record[name])
    end
  end
  local all = redis.call('HGETALL', keys.job .. job.id)
  for i = 1, #all, 2 do
    local until_ms = string.sub(all[i], 1, 6) == 'doubt:' and redis.call('ZSCORE', keys.doubts_until, all[i + 1])
    if until_ms then
      local member = record.number .. all[i + 1]
      forget_doubt(all[i + 1])
      redis.call('ZADD', keys.doubts, 0, member)
      redis.call('ZADD', keys.doubts_until, until_ms, member)
      table.insert(changes, all[i])
      table.insert(changes, member)
    end
  end
  redis.call('HSET', keys.job .. job.id, unpack(changes))
end

local function add_all(key, members)
  for i = 1, #members, 2000 do redis.call('ZADD', key, unpack(members, i, math.min(#members, i + 1999))) end
end

-- First what becomes of each, which may raise and stores nothing; then the indexes, lest a record ever stand in none;
-- then records and events, in the order of the entries.
for _, item in ipairs(items) do
  if not pending[item.entry] then
    item.gone = true
  elseif not item.reject then
    local mine = {}
    for _, job in ipairs(item.jobs) do
      local r = refusal(job)
      if type(r) == 'table' then item.reject = r break end
      if not r then table.insert(mine, job) end
    end
    local none = not item.reject and no_room(options, backlog, mine, {})
    if none then
      none.job, none.member = item.name or item.jobs[1].id, ''
      item.reject = none
    end
    if not item.reject then
      for _, job in ipairs(mine) do
        fresh[job.id] = job
        prepare(job)
      end
      item.mine = mine
    end
  end
end
add_all(keys.ready, ready)
add_all(keys.expiring, expiring)
if first then ring_by_alarm(first) end

-- A resend is somebody's order.
local OUTCOMES = { registered = 'done', repeated = 'idle', rejected = 'refused' }
local function note_order(item, result, reason)
  audit(options, item.order.who, 'resend', { user = item.order.user, job = item.name,
    about = item.jobs[1].of, outcome = OUTCOMES[result], reason = reason })
end

local replies, done = {}, {}
for i, item in ipairs(items) do
  if item.gone then
    replies[i] = { 'gone', '' }
  elseif item.reject then
    replies[i] = repeats(item.unless) and { 'repeated', '' } or reject(item, item.reject)
  else
    for _, job in ipairs(item.mine) do store(job) end
    for _, job in ipairs(item.jobs) do
      if job.known_again then know_again(job) end
    end
    replies[i] = { #item.mine > 0 and 'registered' or 'repeated', '' }
  end
  if not item.gone then
    if item.order then note_order(item, replies[i][1], replies[i][2]) end
    table.insert(done, item.entry)
    if item.group and item.size then groups[item.group] = item.size end
  end
end
for name, size in pairs(groups) do
  if size then note_size(name, size) end
  live_together(options.retention, name)
end
count_taken(options, backlog)
if #done > 0 then
  redis.call('XACK', keys.intake, group, unpack(done))
  redis.call('XDEL', keys.intake, unpack(done))
end
return cjson.encode({ event = last_event, rows = replies })
