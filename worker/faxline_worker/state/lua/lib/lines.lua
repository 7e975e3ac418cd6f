-- One line for each number: a fax on its way holds its number's line for a lease, and queued jobs to the same number wait
-- for it in the order of their places. `lines` has an entry for a number whose line is held or waited for: `*` if jobs
-- wait, then each holder as job@end of its lease (ms).

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
  if options.numbers == 0 or not job.number or is_for_later(job) then return true end
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
