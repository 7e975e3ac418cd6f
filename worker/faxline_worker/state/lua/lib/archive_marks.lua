-- How far an archive has come in the account's events and audit. The account's hash has one mark for each stream,
-- `archived_NAME`: the id up to which all is in its database, and how many entries the stream had been given by then.
-- `archive`, in the hash and as a key, says since when (ms) an archive is on: the key is for scripts that read no hash.
local ARCHIVE_GROUP, ARCHIVED_STREAMS = 'faxline-archive', { 'events', 'audit' }

local function compare_ids(a, b)
  local a_ms, a_n = string.match(a, '^(%d+)%-(%d+)$')
  local b_ms, b_n = string.match(b, '^(%d+)%-(%d+)$')
  local ms = tonumber(a_ms) - tonumber(b_ms)
  return ms ~= 0 and ms or tonumber(a_n) - tonumber(b_n)
end

-- added: how many entries the stream was ever given. first: the oldest that is left, or nil. erased: the newest that was
-- deleted by its id; what is trimmed does not count.
local function stream_info(key)
  local reply, info = redis.pcall('XINFO', 'STREAM', key), {}
  if reply.err then return { added = 0, length = 0, last = '0-0', erased = '0-0' } end
  for i = 1, #reply, 2 do info[reply[i]] = reply[i + 1] end
  return { added = info['entries-added'], length = info['length'], last = info['last-generated-id'],
    erased = info['max-deleted-entry-id'], first = info['first-entry'] and info['first-entry'][1] or nil }
end

-- uncertain: entries that were erased unread may be missing in the number.
local function mark_text(id, number, uncertain) return id .. ' ' .. int(number) .. (uncertain and ' ~' or '') end

local function parse_mark(text)
  local id, number, uncertain = string.match(text or '', '^(%d+%-%d+) (%d+)( ?~?)$')
  return id or '0-0', tonumber(number) or 0, uncertain == ' ~'
end

-- The mark of an archive that begins with the oldest entry there is.
local function first_mark(info) return mark_text('0-0', info.added - info.length) end
