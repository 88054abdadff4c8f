import express from "express";

// The limit of Express: nothing is checked, written or read.
const app = express();
app.use(express.json());
app.post("/api/data", (_request, response) => void response.status(202).json({ id: "1" }));
app.get("/api/data/:id", (_request, response) => void response.json({ id: "1", nombre: "Valpo" }));
app.listen(Number(process.env.PORT), "127.0.0.1", () => console.log("started"));
