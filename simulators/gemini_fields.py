"""The fields of Gemini's requests (ai.google.dev/api/generate-content).

What only other models use (tools and the like) may be there and is not looked into; what no model knows is refused.
"""

from simulators.gemini_models import LEVELS
from simulators.proto_json import ANYTHING, BOOL, BYTES, NUMBER, TEXT, WHOLE, Choice, Many, Message

HARMS = (
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_CIVIC_INTEGRITY",
)
THRESHOLDS = ("BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF")

PART = Message(
    {
        "text": TEXT,
        "inlineData": Message({"mimeType": TEXT, "data": BYTES}),
        "fileData": Message({"mimeType": TEXT, "fileUri": TEXT}),
        "functionCall": ANYTHING,
        "functionResponse": ANYTHING,
        "executableCode": ANYTHING,
        "videoMetadata": ANYTHING,
        "mediaResolution": ANYTHING,
        "thought": BOOL,
        "thoughtSignature": BYTES,
    }
)
CONTENT = Message({"role": TEXT, "parts": Many(PART)})
GENERATION_CONFIG = Message(
    {
        "responseModalities": Many(Choice(("TEXT", "IMAGE", "AUDIO"))),
        "imageConfig": Message({"aspectRatio": TEXT, "imageSize": TEXT}),
        "thinkingConfig": Message({"thinkingLevel": Choice(LEVELS), "thinkingBudget": WHOLE, "includeThoughts": BOOL}),
        "candidateCount": WHOLE,
        "maxOutputTokens": WHOLE,
        "temperature": NUMBER,
        "topP": NUMBER,
        "topK": WHOLE,
        "seed": WHOLE,
        "presencePenalty": NUMBER,
        "frequencyPenalty": NUMBER,
        "stopSequences": Many(TEXT),
        "responseMimeType": TEXT,
        "responseSchema": ANYTHING,
        "responseJsonSchema": ANYTHING,
        "responseLogprobs": BOOL,
        "logprobs": WHOLE,
        "speechConfig": ANYTHING,
        "mediaResolution": TEXT,
    }
)
GENERATE = Message(
    {
        "model": TEXT,
        "contents": Many(CONTENT),
        "systemInstruction": CONTENT,
        "generationConfig": GENERATION_CONFIG,
        "safetySettings": Many(Message({"category": Choice(HARMS), "threshold": Choice(THRESHOLDS)})),
        "tools": Many(ANYTHING),
        "toolConfig": ANYTHING,
        "cachedContent": TEXT,
    }
)
COUNT = Message({"contents": Many(CONTENT), "generateContentRequest": GENERATE})
