-- What a process may remember and the state no longer shows, although it never went back: the calls of a fax that was erased,
-- and what `recover` made of a call, a push or a cancellation. `past` has it until no process can remember it, so that
-- `examine` does not take it for lost. If the state goes back behind that, this is gone, too.
local function past_of(item) return item.token or item.kind .. ' ' .. item.job .. ' ' .. item.entry end

local function note_past(options, names)
  redis.call('ZREMRANGEBYSCORE', keys.past, '-inf', int(now))
  for _, name in ipairs(names) do redis.call('ZADD', keys.past, int(now + options.keep), name) end
end

local function is_past(item) return redis.call('ZSCORE', keys.past, past_of(item)) ~= false end
