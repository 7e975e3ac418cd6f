-- One line for each number: a fax on its way holds its number's line for a lease, and queued jobs to the same number wait
-- for it in the order of their places. `lines` has an entry for a number whose line is held or waited for: `*` if jobs
-- wait, then each holder as job@end of its lease (ms).
local POLL_PLACE = 4 * STRIDE -- of questions how a fax stands: behind all jobs that are due

-- Whether iFax keeps the fax until a date that is still to come.
local function ahead(job) return job.schedule == 'provider' and job.send_at and tonumber(job.send_at) > now end

-- Puts the job in its place in the ready set. A fax for later stands behind all that are due, until its date.
local function enter_ready(id, job)
  local place = job.place
  if ahead(job) then
    place = int(POLL_PLACE + now_us - EPOCH_US)
    redis.call('ZADD', keys.scheduled, job.send_at, id)
  end
  redis.call('ZADD', keys.ready, place, id)
end

local function read_line(number)
  local text = redis.call('HGET', keys.lines, number) or ''
  local line = { waited = string.sub(text, 1, 1) == '*', was = text, holders = {} }
  for id, till in string.gmatch(text, '([^ @*]+)@(%d+)') do
    if tonumber(till) > now then table.insert(line.holders, { id = id, till = tonumber(till) }) end
  end
  return line
end

local function write_line(number, line)
  local text = line.waited and '*' or ''
  for _, holder in ipairs(line.holders) do text = text .. ' ' .. holder.id .. '@' .. int(holder.till) end
  if text == line.was then return end
  if text == '' then redis.call('HDEL', keys.lines, number)
  else redis.call('HSET', keys.lines, number, text) end
end

-- When to look at a line that jobs wait for, in case no holder's end is told: when the first lease ends.
local function watch_line(options, number, line)
  local first = options.numbers == 0 and now or now + options.number_lease
  for _, holder in ipairs(line.holders) do first = math.min(first, holder.till) end
  redis.call('ZADD', keys.lines_until, int(first), number)
end

local function waiting_of(job, id) return job.number .. '|' .. string.format('%017.0f', tonumber(job.place)) .. '|' .. id end

-- The job takes its number's line, or waits for it. Returns whether it has the line.
local function take_line(options, id, job)
  if options.numbers == 0 or not job.number or ahead(job) then return true end
  local till = now + options.number_lease
  if options.numbers == 1 and redis.call('HSETNX', keys.lines, job.number, ' ' .. id .. '@' .. int(till)) == 1 then
    return true -- it was free, and nobody waits
  end
  local line = read_line(job.number)
  local free = #line.holders < options.numbers
  if free then
    table.insert(line.holders, { id = id, till = till })
  else
    line.waited = true
    redis.call('ZADD', keys.waiting, 0, waiting_of(job, id))
  end
  if line.waited then watch_line(options, job.number, line) end
  write_line(job.number, line)
  return free
end

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

-- Whether no job of the account waits for a line. In a batch, which adds none, Redis is asked once.
local function nobody_waits(batch)
  local known = batch and batch.nobody_waits
  if known == nil then known = redis.call('EXISTS', keys.waiting) == 0 end
  if batch then batch.nobody_waits = known end
  return known
end

-- The job's fax is no longer on its way. batch: of lib/endings.lua, or nil.
local function leave_line(options, id, job, batch)
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
