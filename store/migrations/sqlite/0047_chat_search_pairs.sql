-- Scripts without spaces between words go into the index of lines as pairs of characters (package search of chat). Lines that are
-- in it as whole runs wait here to be put in once more; until then they are found as before.

CREATE TABLE chat_fts_again (
    id INTEGER PRIMARY KEY          -- of chat_messages
) STRICT;

INSERT INTO chat_fts_again (id) SELECT m.id FROM chat_messages m WHERE m.deleted_at = 0 AND m.id IN (SELECT id FROM chat_fts_docsize)
    AND m.text GLOB '*[ᄀ-ᇿ⺀-鿿ꥠ-꥿가-퟿豈-﫿ｦ-ￜ𛀀-𛅯𠀀-𯨟]*';
