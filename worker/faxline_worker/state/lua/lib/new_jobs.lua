-- New jobs of a batch are stored: first a place for each and the indexes, then the records and the events.

local new_batch, place_job, write_indexes, store_job
do
  function new_batch(options, items, pending)
    local backlog = (options.ceiling_jobs > 0 or options.ceiling_bytes > 0) and read_backlog() or nil
    if backlog then keep_for_archive(options, backlog.archive) end
    return { options = options, pending = pending, backlog = backlog,
      cap = int(options.cap), stamp = int(now), -- texts: a number is formatted anew for each command
      some_known = any_known(items, pending),
      fresh = {}, -- the jobs that will be stored, by id: they have no record yet
      groups = {}, -- the size that an entry tells of each group, or false
      placed = 0, ready = {}, expiring = {}, first_expiry = nil,
      event = nil } -- the last event that was written
  end

  -- Gives the job its place, and notes its entries in the indexes.
  function place_job(batch, job)
    local fields, due = job.fields, now_us
    batch.placed = batch.placed + 1
    job.turn = batch.placed
    if batch.backlog then batch.backlog.taken = batch.placed end
    job.send_at = tonumber(fields.send_at)
    if job.send_at and job.send_at <= now then job.send_at = nil end -- at once
    if job.send_at then due = job.send_at * 1000 + now_us - TIME_US end
    fields.place = int(job.rank * STRIDE + due - EPOCH_US + job.turn)
    local left_out = not job.send_at and is_over(fields)
    if not job.send_at and not left_out then
      batch.ready[#batch.ready + 1], batch.ready[#batch.ready + 2] = fields.place, job.id
    end
    if fields.expires_at then -- run_timers ends it then, or decides about it at its next run (0)
      batch.first_expiry = math.min(batch.first_expiry or math.huge, tonumber(fields.expires_at))
      table.insert(batch.expiring, left_out and 0 or fields.expires_at)
      table.insert(batch.expiring, job.id)
    end
  end

  local function add_all(key, members)
    for i = 1, #members, 2000 do redis.call('ZADD', key, unpack(members, i, math.min(#members, i + 1999))) end
  end

  function write_indexes(batch)
    add_all(keys.ready, batch.ready)
    add_all(keys.expiring, batch.expiring)
    if batch.first_expiry then ring_by_alarm(batch.first_expiry) end
  end

  local function digests_of(text)
    local digests = {}
    for digest in string.gmatch(text, '[^,]+') do digests[#digests + 1] = digest end
    return digests
  end

  -- Documents live on while a job that has not ended needs them.
  local function need_documents(digests)
    for _, digest in ipairs(digests_of(digests)) do
      redis.call('HINCRBY', keys.document_uses, digest, 1)
      redis.call('PERSIST', keys.document .. digest)
    end
  end

  -- The texts that most jobs have in common.
  local QUEUED_TEXT = to_json({ state = 'queued', attempt = 0 }, nil, nil)
  local HISTORY_TEXT = to_json({ event = 'fax.queued', at = now, state = 'queued', attempt = 0 }, nil, nil)

  -- by: whose order the job is, or nil.
  function store_job(batch, job, by)
    local fields = job.fields
    if job.send_at and fields.schedule == 'local' then
      redis.call('ZADD', keys.delayed, int(job.send_at), job.id)
      ring_by_alarm(job.send_at)
    elseif job.send_at then
      enter_ready(job.id, fields)
    end
    if fields.documents then need_documents(fields.documents) end
    if fields.group then
      redis.call('SADD', keys.group .. fields.group, job.id)
      redis.call('SADD', keys.group .. fields.group .. '!open', job.id)
      batch.groups[fields.group] = batch.groups[fields.group] or false
    end
    local record = { 'n', '1', 'updated_at', batch.stamp, 'h:1', HISTORY_TEXT, 'created_at', batch.stamp, 'state', 'queued',
      'digest', job.digest }
    local last = #record
    for field, value in pairs(fields) do
      record[last + 1], record[last + 2] = field, value
      last = last + 2
    end
    redis.call('HSET', keys.job .. job.id, unpack(record))
    local text = QUEUED_TEXT
    if job.send_at or fields.metadata or fields.documents or by then
      text = to_json({ state = 'queued', attempt = 0, send_at = job.send_at, by = by,
        documents = fields.documents and digests_of(fields.documents) }, nil, fields.metadata)
    end
    batch.event = emit(batch.cap, 'fax.queued', job.id, text)
    if fields.group then thin_out(keys.group .. fields.group, job.turn) end
  end
end
