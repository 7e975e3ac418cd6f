-- read_archive: the next entries of a stream for the archive, from its mark on, and what it will never get.
-- include: clock archive_marks
-- ARGV  events or audit, most entries
-- reply {off}, or {on, the mark, the mark after these entries (`archived`), lost (entries that were dropped before they were
--       read), exact (1; 0: it may be wrong by what an operator erased), restarted (1: the stream is another one than
--       the marked one, so it is read from its beginning), unread (entries, these included), the entries}
local name, most = ARGV[1], tonumber(ARGV[2])
local stored = redis.call('HMGET', keys.account_state, 'archive', 'archived_' .. name)
if not stored[1] then return { 'off' } end
local info, before = stream_info(keys[name]), stored[2] or ''
local id, number, uncertain = parse_mark(before)
local restarted = info.added < number or compare_ids(info.last, id) < 0
if restarted then id, number, uncertain = parse_mark(first_mark(info)) end

local entries = redis.call('XRANGE', keys[name], '(' .. id, '+', 'COUNT', most)
local all = #entries < most
-- While an entry up to the mark is left, nothing behind it was dropped: streams lose their oldest entries first.
local passed = not info.first or compare_ids(info.first, id) > 0
local left = all and #entries or passed and info.length
local missing = left and math.max(0, info.added - number - left) or 0
local unsure, last = uncertain or compare_ids(info.erased, id) > 0, #entries > 0 and entries[#entries][1] or id
local counted = all or passed and compare_ids(info.erased, last) <= 0 -- everything up to `last`, also what was erased
local after = mark_text(last, all and info.added or number + missing + #entries, unsure and not counted)
return { 'on', before, after, passed and missing or 0, unsure and 0 or 1, restarted and 1 or 0,
  info.added - number - missing, entries }
