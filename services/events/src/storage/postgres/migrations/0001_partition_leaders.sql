-- Up Migration

-- The relay led by locks of its session once, and numbered its terms here, without end, under these names. A replica of that
-- version may still run and begin them anew: nobody else asks for these names, so its rows only lie there.
DELETE FROM leaders WHERE starts_with(name, 'relay/') AND expires_at = 'infinity';
