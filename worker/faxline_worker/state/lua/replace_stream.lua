-- replace_stream: puts a stream that is out of ids aside and makes a new one; what was put aside is moved into it, some
-- entries in each call. An entry that another process works on is no longer where it was: for that process's script it is
-- gone, and it comes again. So no entry is lost, and none is applied twice.
-- include: clock streams streams_aside audit
-- ARGV  the stream (intake, status or orders), consumer group (empty: none), most entries and most bytes in one call, JSON
--       options
-- reply JSON {replaced (the id that was ahead, where it was put aside now), moved (entries), left (whether more wait)}
local name, group = ARGV[1], ARGV[2]
local stream = keys[name]
local most, most_bytes, options = tonumber(ARGV[3]), tonumber(ARGV[4]), cjson.decode(ARGV[5])
local function aside(n) return stream .. ':aside:' .. n end

-- An entry that is none of ours may have more fields than Lua can pass on: its first ones show that, too.
local FIELDS = 50
local function add(at, fields) return redis.pcall('XADD', stream, at, unpack(fields, 1, math.min(#fields, 2 * FIELDS))) end

local id = ahead_of(stream, group)
if id then
  repeat
    local n = redis.call('HINCRBY', keys.account_state, 'replaced:' .. name, 1)
  until redis.call('RENAMENX', stream, aside(n)) == 1
  redis.call('HSET', keys.account_state, 'replaced_at:' .. name, int(now))
  if group ~= '' then redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM') end
  if name == 'status' then redis.call('HDEL', keys.account_state, 'words', 'words_at') end -- ids of the old stream
  audit(options, options.who, 'replace', { about = name })
end

local replaced, emptied = aside_of(name)
local moved, bytes = 0, 0
while emptied < replaced and moved < most and bytes < most_bytes do
  local from = aside(emptied + 1)
  local entry = redis.call('XRANGE', from, '-', '+', 'COUNT', 1)[1]
  if entry then
    -- It keeps its id where that is one of Redis' own and still fits: whoever waits for the reply to an order knows it by
    -- that. One of intake does not: an older version's `register` deletes by its id what it finds no longer pending.
    local kept = (group ~= '' or is_ahead(entry[1])) and { err = 'anew' } or add(entry[1], entry[2])
    if type(kept) == 'table' then kept = add('*', entry[2]) end
    if type(kept) == 'table' then return kept end -- raised
    redis.call('XDEL', from, entry[1])
    for _, part in ipairs(entry[2]) do bytes = bytes + #part end
    moved = moved + 1
  else
    redis.call('DEL', from)
    emptied = redis.call('HINCRBY', keys.account_state, 'emptied:' .. name, 1)
  end
end
return cjson.encode({ replaced = id, moved = moved, left = emptied < replaced })
