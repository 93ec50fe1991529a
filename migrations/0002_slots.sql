-- depends: 0001_spine
-- The 15 slots, ready at once: any of them changes a photo after the first start. They are never added or removed.

INSERT INTO slot (slot_id, display_name, provider, operation, settings)
SELECT 'slot-' || lpad(number::text, 3, '0'),
       'Slot ' || number || ' (Gemini)',
       'gemini',
       'image_edit',
       jsonb_build_object(
           'prompt', 'Turn this photo into an elegant studio portrait: soft key light, a warm painted backdrop and a '
                     || 'festive mood. Keep every face, expression, pose and the number of people exactly as they '
                     || 'are; change only background, light and style.',
           'retries', 1,
           'repeat_interrupted', true)
FROM generate_series(1, 15) AS number;
