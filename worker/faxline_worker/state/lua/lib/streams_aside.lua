-- Streams that were put aside under another name, because their ids are used up, and are emptied into new ones. The account's
-- hash counts the streams that were put aside (`replaced:NAME`), and those of them that are emptied (`emptied:NAME`).
local function aside_of(name)
  local counts = redis.call('HMGET', keys.account_state, 'replaced:' .. name, 'emptied:' .. name)
  return tonumber(counts[1]) or 0, tonumber(counts[2]) or 0
end

-- Whether entries of a stream that was put aside wait to be moved.
local function waits_aside(name)
  local replaced, emptied = aside_of(name)
  return replaced > emptied
end
