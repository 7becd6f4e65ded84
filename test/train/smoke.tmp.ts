import { sequential } from '/work/main/src/train/sequential.ts';
import { layers } from '/work/main/src/layers/all.ts';
for (const make of [()=>layers.simpleRNN({units:8}), ()=>layers.lstm({units:8}), ()=>layers.gru({units:8}), ()=>layers.bidirectional({layer: layers.lstm({units:8, returnSequences:false})})]) {
const model = sequential([layers.embedding({inputDim:50, outputDim:6, maskZero:true}), make(), layers.dense({units:1, activation:'sigmoid'})]);
const x = Array.from({length:100},(_, i)=>Array.from({length:12},(_, t)=> t<i%5?0:((i*7+t*13)%49)+1));
const y = x.map(r=> r.reduce((a,b)=>a+b)%2);
model.compile({optimizer:'adam', loss:'binaryCrossentropy', metrics:['accuracy']});
const h = await model.fit(x,y,{epochs:3,validationSplit:0.2,verbose:2, batchSize: 16});
console.log(h.history);
model.summary();
console.log(await model.evaluate(x,y), (await model.predict(x.slice(0,2)) as any).toNested());
}
