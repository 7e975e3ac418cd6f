-- init_account: a dispatcher starts work on an account. It stores the layout and the ids of its sealing keys, and counts
-- the open jobs anew, because an older version that ran beside this one did not count the jobs that it registered.
-- include: clock record ready_set permits backlog control_calls
-- ARGV  layout of the caller, ids of its keys with spaces between them, the one that seals first; for the doctor; how many
--       control calls wait among the delayed jobs (counted in pieces, for those may be many)
-- reply done, or the layout that is stored, where the caller cannot know it; nothing is changed then
local stored = redis.call('HGET', keys.account_state, 'layout')
if newer(stored) then return stored end
local function parts(layout)
  local major, minor = string.match(layout or '1.0', '^(%d+)%.(%d+)')
  return (tonumber(major) or 1) * 1000000 + (tonumber(minor) or 0)
end
if not stored or parts(stored) < parts(ARGV[1]) then redis.call('HSET', keys.account_state, 'layout', ARGV[1]) end
redis.call('HSET', keys.account_state, 'keys', ARGV[2])

local open = redis.call('ZCARD', keys.ready) - redis.call('ZCOUNT', keys.ready, '-inf', '(' .. int(STRIDE))
for _, key in ipairs({ keys.delayed, keys.waiting, keys.submitted, keys.in_doubt }) do
  open = open + redis.call('ZCARD', key)
end
open = open - redis.call('ZCOUNT', keys.ready, int(POLL_PLACE), int(POLL_PLACE))
open = open - tonumber(ARGV[3])
for _, permit in ipairs(redis.call('ZRANGE', keys.permits, 0, -1)) do
  local id = held_for(permit)
  if id and not parse_control_call(id) then open = open + 1 end
end
local missing = open - read_backlog().open
if missing ~= 0 then redis.call('HINCRBY', keys.account_state, 'taken', missing) end
return 'done'
