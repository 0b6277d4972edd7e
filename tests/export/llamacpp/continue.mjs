// Greedy continuations by llama.cpp: node continue.mjs MODEL.gguf < request.json > answer.json
//
// request: {"prompts": [...], "tokens": N}; prompts are read with special tokens.
// answer: {"llamaCpp", "template", "answers": [{"prompt": ids, "ids": ids, "text"}]}
//
// Nothing is compiled, and nothing but the package is downloaded. Keys and values are kept in
// float32: in llama.cpp's usual float16 a near tie may go the other way.

import {readFileSync} from "node:fs";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const request = JSON.parse(readFileSync(0, "utf8"));
const llama = await getLlama({
    gpu: false, build: "never", skipDownload: true, progressLogs: false, logLevel: LlamaLogLevel.error,
});
const model = await llama.loadModel({modelPath: process.argv[2], gpuLayers: 0});
const context = await model.createContext({
    contextSize: 512, flashAttention: false, threads: 1,
    experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32",
});
const sequence = context.getSequence();
const answers = [];
for (const text of request.prompts) {
    const prompt = model.tokenize(text, true);
    if (model.tokens.shouldPrependBosToken && prompt[0] !== model.tokens.bos)
        prompt.unshift(model.tokens.bos);
    await sequence.clearHistory();
    const ids = [];
    for await (const token of sequence.evaluate(prompt, {temperature: 0})) {  // ends by itself
        ids.push(token);
        if (ids.length === request.tokens)
            break;
    }
    answers.push({prompt, ids, text: model.detokenize(ids, true)});
}
const {metadata} = model.fileInfo;
console.log(JSON.stringify({template: metadata.tokenizer.chat_template ?? null, answers}));
await llama.dispose();
