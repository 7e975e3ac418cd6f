-- A fax leaves its number's line, or the queue for it, and others follow.

-- Jobs that wait for the line follow, as far as there is room.
local function follow(options, number, line)
  if line.waited then
    local free = math.max(0, options.numbers - #line.holders)
    if options.numbers == 0 then free = 50 end -- turned off meanwhile; the others follow at the next look
    local range = { '[' .. number .. '|', '(' .. number .. '}' }
    local waiting = redis.call('ZRANGEBYLEX', keys.waiting, range[1], range[2], 'LIMIT', 0, free + 1)
    for i = 1, math.min(free, #waiting) do
      local id = string.match(waiting[i], '^[^|]*|[^|]*|(.*)$')
      local job, left = read_record(keys.job .. id, nil, true)
      if not left then redis.call('ZREM', keys.waiting, waiting[i]) end
      if job and job.state == 'queued' then enter_ready(id, job) end
    end
    if free > 0 and #waiting > 0 then ring_for_room() end
    line.waited = #waiting > free
    if line.waited then watch_line(options, number, line)
    else redis.call('ZREM', keys.lines_until, number) end
  end
  write_line(number, line)
end

local leave_line
do
  -- Whether no job of the account waits for a line. In a batch, which adds none, Redis is asked once.
  local function nobody_waits(batch)
    local known = batch and batch.nobody_waits
    if known == nil then known = redis.call('EXISTS', keys.waiting) == 0 end
    if batch then batch.nobody_waits = known end
    return known
  end

  -- The job's fax is no longer on its way. batch: of lib/endings.lua, or nil.
  function leave_line(options, id, job, batch)
    if options.numbers == 0 or job.line ~= '1' then return end
    if not FINAL[job.state] then redis.call('HSET', keys.job .. id, 'line', '') end -- it may be another's when this one ends
    if options.numbers == 1 and tonumber(job.admitted_at) + options.number_lease > now and nobody_waits(batch) then
      take_out(batch, 'HDEL', keys.lines, job.number) -- its lease runs, so nobody else holds it
      return
    end
    local line = read_line(job.number)
    for i, holder in ipairs(line.holders) do
      if holder.id == id then
        table.remove(line.holders, i)
        break
      end
    end
    follow(options, job.number, line)
  end
end

-- A queued job ends, or turns out to be sent: it leaves the queue.
local function leave_queue(options, id, job)
  redis.call('ZREM', keys.ready, id)
  redis.call('ZREM', keys.delayed, id)
  if job.send_at then redis.call('ZREM', keys.scheduled, id) end
  if options.numbers == 0 or not job.number then return end
  redis.call('ZREM', keys.waiting, waiting_of(job, id))
  local line = read_line(job.number)
  if line.waited then follow(options, job.number, line) end -- it may have been the next
end
