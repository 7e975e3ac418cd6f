-- An entry is rejected: its producer reads so in an event, and from the group that the entry names.
local function reject(batch, item, rejection)
  local metadata = item.jobs and item.jobs[1].fields.metadata or item.metadata
  batch.event = emit(batch.cap, 'fax.rejected', rejection.job or '', to_json({ state = 'rejected', member = rejection.member,
    reason = rejection.reason, message = rejection.message, entry = item.entry, group = item.group }, nil, metadata))
  if item.group and rejection.job and rejection.job ~= '' then
    note_rejection(batch.options.retention, item.group, { id = rejection.job, member = rejection.member,
      reason = rejection.reason, message = rejection.message, at = now })
    batch.groups[item.group] = batch.groups[item.group] or false
  end
end
